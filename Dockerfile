# An image with tashower and no libraries for graphics cards.
#
#     docker build -t tashower .
#     docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" tashower run --config mine.yaml
#
# It runs as any user, with or without a home. TORCH_INDEX: a package index with builds of torch for
# CPUs, where the usual one has builds for graphics cards; EXTRAS: cluster, for the profiles.
FROM python:3.12-slim AS build
ARG TORCH_INDEX=""
ARG EXTRAS=""
WORKDIR /source
RUN python -m venv /opt/tashower
COPY requirements.lock.txt ./
# What runs, without what tests; torch apart, and with its libraries only where it needs them.
RUN grep -v -E '^(#|torch=|pytest|ruff|snakefmt|black|iminuit|ipykernel|nbclient)' requirements.lock.txt > needed.txt
RUN /opt/tashower/bin/pip install --no-cache-dir --no-deps -r needed.txt
RUN torch="$(grep '^torch==' requirements.lock.txt)"; \
    /opt/tashower/bin/pip install --no-cache-dir --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch" && \
    { /opt/tashower/bin/python -c 'import torch' || /opt/tashower/bin/pip install --no-cache-dir "$torch"; }
COPY pyproject.toml README.md LICENSE ./
COPY tashower tashower
RUN /opt/tashower/bin/pip install --no-cache-dir --no-build-isolation ".${EXTRAS:+[$EXTRAS]}"
RUN /opt/tashower/bin/tashower run -n && /opt/tashower/bin/python -c 'import tashower.front_door, torch'

FROM python:3.12-slim
COPY --from=build /opt/tashower /opt/tashower
ENV PATH=/opt/tashower/bin:$PATH
RUN useradd --uid 1000 --create-home tashower && mkdir /data && chown tashower /data
USER tashower
WORKDIR /data
ENTRYPOINT ["tashower"]
CMD ["--help"]
