ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# uv first and alone: it changes least. The lock pins and hashes it like everything else.
COPY requirements.lock ./
RUN python3 -m venv /opt/mcpbox \
    && awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock > uv.txt \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --require-hashes --requirement uv.txt
ENV UV_NO_CACHE=1 UV_SYSTEM_CERTS=true UV_COMPILE_BYTECODE=1

# The lock covers the extras and the tools as well. As constraints it pins and hashes exactly what
# the product itself asks for, and what sends traces: without embedded servers, browser or
# development tools.
COPY pyproject.toml ./
RUN /opt/uv/bin/uv pip install --python /opt/mcpbox/bin/python \
    --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra otel

COPY . .
RUN /opt/uv/bin/uv pip install --python /opt/mcpbox/bin/python --no-deps .


FROM ${BASE}
RUN groupadd --gid 10001 mcpbox \
    && useradd --uid 10001 --gid mcpbox --no-create-home --home-dir /var/lib/mcpbox mcpbox \
    && install --directory --owner mcpbox --group mcpbox --mode 0700 /var/lib/mcpbox \
    && install --directory --owner mcpbox --group mcpbox --mode 0755 /run/receipt-key \
    && install --directory --owner mcpbox --group mcpbox --mode 0700 /var/lib/mcpbox-anchors
COPY --from=build /opt/mcpbox /opt/mcpbox
COPY deploy/door.py deploy/sandbox.sh /opt/mcpbox/
ENV PATH=/opt/mcpbox/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MCPBOX_DATA_DIR=/var/lib/mcpbox
USER 10001:10001
WORKDIR /var/lib/mcpbox
ENTRYPOINT ["mcpbox"]
CMD ["--help"]
