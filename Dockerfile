# The wheel and the locked requirements, nothing else; not root; no compiler and no pip cache in the image that runs.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/reconciler \
 && /opt/reconciler/bin/pip install --require-hashes -r requirements.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md hatch_build.py requirements-go.txt ./
COPY scripts/gotool.py scripts/renderers.py ./scripts/
COPY renderers ./renderers
COPY reconciler ./reconciler
COPY examples/repo ./examples/repo
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist . \
 && /opt/reconciler/bin/pip install --no-deps --no-index /dist/*.whl \
 && /opt/reconciler/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
# The daemon reads repositories by its own library. The git command is for those who use `approve`, `reject` and
# `rollback` on a clone from inside the image.
ARG WITH_GIT=no
# The git of the image's own Debian release, whatever its patch level: that is what gets its fixes.
# hadolint ignore=DL3008
RUN if [ "$WITH_GIT" = yes ]; then \
      apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*; \
    fi \
 && useradd --system --uid 10001 --create-home --home-dir /var/lib/reconciler reconciler
COPY --from=build /opt/reconciler /opt/reconciler
ENV PATH=/opt/reconciler/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    RECONCILER_LISTEN=0.0.0.0:7373 \
    RECONCILER_STATE=/var/lib/reconciler/state.sqlite
USER 10001:10001
WORKDIR /var/lib/reconciler
VOLUME /var/lib/reconciler
EXPOSE 7373
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7373/healthz', timeout=4)"]
ENTRYPOINT ["reconciler"]
CMD ["run", "/repo"]
