"""Operations: what to sell, what to buy and how many shares, always within the limits."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # modules of a project beside ours
