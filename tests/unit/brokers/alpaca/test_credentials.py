from __future__ import annotations

from pathlib import Path

import pytest

from Departments.brokers.alpaca.credentials import PAPER_URL, Credentials, load_credentials
from Departments.core.errors import BadInput

KEYS = {"APCA_API_KEY_ID": "PKENV", "APCA_API_SECRET_KEY": "env-secret"}
CONFIG = 'APCA_API_KEY_ID = "PKFILE"\nAPCA_API_SECRET_KEY: str = "file-secret"\n'


def _config(folder: Path, text: str) -> Path:
    (folder / "config.py").write_text(text, encoding="utf-8", newline="\n")
    return folder


def test_the_environment_goes_before_a_config_file(tmp_path: Path) -> None:
    found = load_credentials([_config(tmp_path, CONFIG)], KEYS)
    assert (found.key_id, found.secret_key, found.base_url) == ("PKENV", "env-secret", PAPER_URL)


@pytest.mark.parametrize("text", ["APCA_API_KEY_ID = os.environ['MINE']\n", "this is no Python\n"])
def test_with_keys_in_the_environment_no_config_file_is_read(tmp_path: Path, text: str) -> None:
    assert load_credentials([_config(tmp_path, text)], KEYS).key_id == "PKENV"


def test_failing_the_environment_a_config_file_is_read(tmp_path: Path) -> None:
    found = load_credentials([tmp_path / "nothing", _config(tmp_path, CONFIG)], {})
    assert (found.key_id, found.secret_key, found.base_url) == ("PKFILE", "file-secret", PAPER_URL)


def test_a_config_file_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    _config(tmp_path, f"open({str(mark)!r}, 'w').close()\n" + CONFIG)
    load_credentials([tmp_path], {})
    assert not mark.exists()


def test_key_and_secret_come_from_one_source(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"APCA_API_SECRET_KEY.*the environment"):
        load_credentials([_config(tmp_path, CONFIG)], {"APCA_API_KEY_ID": "PKENV"})


def test_the_first_config_file_that_names_keys_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    _config(tmp_path / "a", "ALPACA = 1\n")
    assert load_credentials([_config(tmp_path / "b", CONFIG), tmp_path / "a"], {}).key_id == "PKFILE"
    assert load_credentials([tmp_path / "a", tmp_path / "b"], {}).key_id == "PKFILE"


def test_missing_keys_are_named_in_one_sentence() -> None:
    with pytest.raises(BadInput) as error:
        load_credentials([], {"HOME": "/x"})
    assert "APCA_API_KEY_ID" in str(error.value)
    assert "APCA_API_SECRET_KEY" in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "line", ["APCA_API_KEY_ID = os.environ['X']", "APCA_API_KEY_ID = 17", 'APCA_API_KEY_ID = f"{x}"']
)
def test_a_value_that_would_have_to_be_run_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadInput, match=r"config\.py: APCA_API_KEY_ID: is not literal text"):
        load_credentials([_config(tmp_path, line + "\n")], {})


def test_a_config_file_that_is_not_python_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.py: line 2"):
        load_credentials([_config(tmp_path, "a = 1\nAPCA_API_KEY_ID = \n")], {})


def test_the_last_assignment_counts_and_others_do_not_matter(tmp_path: Path) -> None:
    text = CONFIG + 'x, y = 1, 2\nother.APCA_API_KEY_ID = 3\nname: str\nAPCA_API_KEY_ID = KEY = "PKLAST"\n'
    assert load_credentials([_config(tmp_path, text)], {}).key_id == "PKLAST"


@pytest.mark.parametrize("url", ["https://paper-api.alpaca.markets/v2", "https://paper-api.alpaca.markets/ "])
def test_an_address_loses_its_final_slash_and_version(url: str) -> None:
    found = load_credentials([], KEYS | {"APCA_API_BASE_URL": url, "APCA_API_DATA_URL": "http://127.0.0.1:9/v2/"})
    assert (found.base_url, found.data_url) == (PAPER_URL, "http://127.0.0.1:9")


def test_an_address_in_the_environment_goes_before_the_one_in_the_file(tmp_path: Path) -> None:
    _config(tmp_path, CONFIG + 'APCA_API_BASE_URL = "https://api.alpaca.markets"\n')
    assert load_credentials([tmp_path], {}).base_url == "https://api.alpaca.markets"
    assert load_credentials([tmp_path], {"APCA_API_BASE_URL": "http://127.0.0.1:9"}).base_url == "http://127.0.0.1:9"


def test_keys_in_the_environment_never_trade_at_an_address_of_the_file(tmp_path: Path) -> None:
    _config(tmp_path, CONFIG + 'APCA_API_BASE_URL = "https://api.alpaca.markets"\n')
    assert load_credentials([tmp_path], KEYS).base_url == PAPER_URL


@pytest.mark.parametrize("secret", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_travel_in_a_header_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(BadInput, match="APCA_API_SECRET_KEY") as error:
        load_credentials([], KEYS | {"APCA_API_SECRET_KEY": secret})
    assert secret not in str(error.value)


def test_repr_hides_both_keys() -> None:
    shown = repr(Credentials("PKENV", "env-secret"))
    assert "PKENV" not in shown
    assert "env-secret" not in shown
