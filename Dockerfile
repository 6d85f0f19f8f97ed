# syntax=docker/dockerfile:1
# One image for dispatcher, workers and console; what it runs is its command. How to build it, and
# where the digest comes from: docs/how-to/deploy-to-aks.md.
#
#   docker build --build-arg PYTHON_IMAGE=docker.io/library/python:3.12-slim-bookworm@sha256:... .
#
# PYTHON_IMAGE has no default: an image without a digest is another image tomorrow.
ARG PYTHON_IMAGE

# The wheel, built by what requirements-build.lock pins.
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY requirements-build.lock ./
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md ./
COPY contracts contracts
COPY policies policies
COPY fleet fleet
COPY dispatcher dispatcher
COPY workers workers
COPY console console
COPY pipelines pipelines
COPY localbus localbus
RUN /opt/build/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps \
    --no-build-isolation --wheel-dir /wheels .

# What it needs, by hash, from wheels alone: nothing is compiled, so no stage has a compiler.
FROM ${PYTHON_IMAGE} AS installed
WORKDIR /src
# strip, for image/trim.sh. Its version shows in nothing that ships.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-image.lock ./
COPY image image
COPY --from=wheel /wheels /wheels
# pip stays outside of the environment that is shipped.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/fleet \
    && /opt/pip/bin/pip --python /opt/fleet/bin/python install --no-cache-dir \
        --disable-pip-version-check --require-hashes --only-binary :all: \
        -r requirements-image.lock \
    && /opt/pip/bin/pip --python /opt/fleet/bin/python install --no-cache-dir \
        --disable-pip-version-check --no-deps /wheels/*.whl \
    && image/trim.sh "$(/opt/fleet/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

FROM ${PYTHON_IMAGE} AS image
# `--build-arg ODBC=18` adds Microsoft's driver for Azure SQL; building so accepts its licence.
ARG ODBC=none
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008  # the base's digest and the driver's major version are the pins
RUN if [ "${ODBC}" != none ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ca-certificates curl gnupg \
        && . /etc/os-release \
        && curl --fail --silent --show-error https://packages.microsoft.com/keys/microsoft.asc \
            | gpg --dearmor --output /usr/share/keyrings/microsoft-prod.gpg \
        && echo "deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/microsoft-prod.gpg] https://packages.microsoft.com/debian/${VERSION_ID}/prod ${VERSION_CODENAME} main" \
            > /etc/apt/sources.list.d/microsoft.list \
        && apt-get update \
        && ACCEPT_EULA=Y apt-get install --yes --no-install-recommends "msodbcsql${ODBC}" \
        && apt-get purge --yes --auto-remove curl gnupg \
        && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/microsoft.list; \
    fi
RUN groupadd --gid 10001 fleet \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fleet \
    && install --directory --owner=10001 --group=10001 /var/lib/fleet /run/fleet
COPY --from=installed /opt/fleet /opt/fleet
# What is inside, for a scanner and for people.
COPY requirements-image.lock /usr/share/doc/leaf-fleet/

ENV PATH=/opt/fleet/bin:$PATH \
    FLEET_HOME=/var/lib/fleet \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/fleet
USER 10001:10001

# Declared again, for the label: a scanner finds the base's own contents by it.
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="leaf-fleet" \
      org.opencontainers.image.description="Dispatcher, lane workers and console of Leaf Fleet" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# Of the worker, which is what starts unless a command is given. Kubernetes has probes of its own
# for each part (k8s/).
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "workers.health", "/run/fleet/health.json"]
CMD ["python", "-m", "workers", "--ready-file", "/run/fleet/ready.json", "--health-file", "/run/fleet/health.json"]
