# Built and smoke-tested with `make docker`. The final image runs without root, on a read-only file system:
# only /var/lib/penstock (state and audit) is written.
FROM python:3.12-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/penstock
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock LICENSE ./
COPY client client
COPY server server
# With the drivers of state on PostgreSQL and of Redshift: a configuration that needs one would not start without it.
RUN uv sync --locked --no-dev --no-editable --package penstock-server --extra postgres --extra redshift

FROM python:3.12-slim-bookworm
RUN groupadd --gid 10001 penstock \
 && useradd --uid 10001 --gid penstock --no-create-home --shell /usr/sbin/nologin penstock \
 && install -d -o penstock -g penstock -m 0700 /var/lib/penstock \
 && install -d -m 0755 /etc/penstock
COPY --from=build /opt/penstock /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER penstock
WORKDIR /var/lib/penstock
VOLUME /var/lib/penstock
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["penstock-server", "health", "--config", "/etc/penstock/penstock.yaml"]
ENTRYPOINT ["penstock-server"]
CMD ["serve", "--config", "/etc/penstock/penstock.yaml"]
