# A desk in a container: docker build -t departments . && docker run -it -v "$PWD/desk:/desk" departments init
# The workspace is the volume /desk; keys come from the environment (-e APCA_API_KEY_ID -e APCA_API_SECRET_KEY).
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY Departments Departments
COPY config config
COPY scripts scripts
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[notify]"

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 DEPARTMENTS_LOCKS=/desk/.locks
RUN useradd --create-home --uid 1000 desk && mkdir /desk && chown desk /desk
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels "departments[notify]" && rm -r /wheels
USER desk
WORKDIR /desk
VOLUME /desk
ENTRYPOINT ["departments"]
CMD ["status"]
