# A desk in a container, in a folder of yours:
#   docker build -t departments . && mkdir desk
#   docker run -it --user "$(id -u):$(id -g)" -v "$PWD/desk:/desk" departments init
# The workspace is the volume /desk; keys come from the environment (-e APCA_API_KEY_ID -e APCA_API_SECRET_KEY).
# The machine's own cron starts the day: docker run --rm ... departments run --wait-for-open --not-before 09:20
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY Departments Departments
COPY config config
COPY scripts scripts
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[notify,web]"

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 DEPARTMENTS_LOCKS=/desk/.locks
RUN useradd --create-home --uid 1000 desk && mkdir /desk && chown desk /desk
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels "departments[notify,web]" && rm -r /wheels
USER desk
WORKDIR /desk
VOLUME /desk
ENTRYPOINT ["departments"]
CMD ["status"]
