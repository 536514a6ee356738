# Dragoman in a container, as a user without rights. The cache volume holds the prepared models, and better ones
# that are fetched from the model hub as requests come; `-e DRAGOMAN_MODELS=bundled` fetches nothing.
#
#   docker build -t dragoman .
#   docker run -p 8080:8080 -v dragoman:/var/cache/dragoman dragoman
#
# DEVICE is where the models run: cpu (default) or cuda (start it with `--gpus all`).
# TORCH_INDEX_URL is the package index that torch comes from. Empty means pip's own, whose Linux wheels for
# x86_64 carry CUDA: they run on a CPU too, but take some gigabytes. For a small CPU image, or for another
# version of CUDA, pass the index that PyTorch's installation page gives for it.
# EXTRAS are those of pyproject.toml, with gpu added for cuda: mcp for /mcp, postgresql and redis for several
# servers.

FROM python:3.11-slim AS build
ARG TORCH_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/dragoman
ENV PATH=/opt/dragoman/bin:$PATH
# Torch alone, and first: it is the largest part and changes the least. Its version is the index's newest.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch>=2.12"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY service service
ARG DEVICE=cpu
ARG EXTRAS=mcp,postgresql,redis
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$DEVICE" = cuda ]; then EXTRAS="$EXTRAS,gpu"; fi; pip install ".[$EXTRAS]"

FROM python:3.11-slim
ARG DEVICE=cpu
COPY --from=build /opt/dragoman /opt/dragoman
# On a GPU Triton builds its launchers with a C compiler.
# hadolint ignore=DL3008
RUN if [ "$DEVICE" = cuda ]; then apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*; fi
RUN useradd --system --uid 10001 --create-home dragoman \
    && install --directory --owner=dragoman /var/cache/dragoman /var/lib/dragoman
USER 10001
ENV PATH=/opt/dragoman/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DRAGOMAN_DEVICE=$DEVICE \
    DRAGOMAN_HOST=0.0.0.0 \
    DRAGOMAN_CACHE_DIR=/var/cache/dragoman \
    DRAGOMAN_DATA_DIR=/var/lib/dragoman \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME ["/var/cache/dragoman", "/var/lib/dragoman"]
EXPOSE 8080
# The first start prepares the bundled models, which takes half a minute or more.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + (os.environ.get('DRAGOMAN_PORT') or os.environ.get('PORT') or '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["dragoman"]
CMD ["serve"]
