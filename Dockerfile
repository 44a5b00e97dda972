# Doorward in an image: the wheel and what constraints.txt names, nothing else. tools/image.sh walks the same steps
# without Docker.
#   docker build -t doorward .
#   docker run -p 8000:8000 -v doorward:/data --env-file production.env doorward

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt ./
RUN python -m venv /opt/doorward \
    && /opt/doorward/bin/pip install --require-hashes -r constraints.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY portal ./portal
COPY templates ./templates
COPY static ./static
COPY migrations ./migrations
RUN /opt/doorward/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/doorward/bin/pip install --no-deps --no-index /tmp/wheel/*.whl

FROM python:3.13-slim
RUN groupadd --system --gid 10001 doorward \
    && useradd --system --uid 10001 --gid doorward --home-dir /data --shell /usr/sbin/nologin doorward \
    && install --directory --owner=doorward --group=doorward --mode=0700 /data
COPY --from=build /opt/doorward /opt/doorward
ENV PATH=/opt/doorward/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORTAL_ENV=production \
    DATA_DIR=/data
# By number, so that a cluster can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
# /health/live asks nothing of the database: a slow one must not have the container killed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/health/live', timeout=4)"]
CMD ["doorward", "serve", "--host", "0.0.0.0"]
