# haldir over HTTP. Build and run:
#
#   docker build -t haldir .
#   docker run -p 8000:8000 -v haldir:/data --read-only -e HALDIR_BOOTSTRAP_TOKEN=… haldir
#
# The first API key is then made with that token, see docs/tour.md. A reverse proxy in front does TLS. For one MCP client, on
# standard input and output: docker run -i --rm -v haldir:/data haldir haldir-mcp
#
# Nothing is installed from Debian's archive: the images, pinned by digest, and Cargo.lock are all that a build depends on. The
# image of rust has the C compiler that SQLite, ring and mimalloc are compiled with, and the certificates.

FROM rust:1.98.1-slim-trixie@sha256:4cd829461bd5c4d511c32e269da9cb8929223b666519d8004e35fc8d1d771ab7 AS rust
WORKDIR /src

# The manifests, and an empty file for each program, library and test that they have. Docker compares what the next stage copies
# from here by content, so a change of other files leaves its dependencies compiled.
FROM rust AS manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path ./.cargo/config.toml \
      ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*.rs' ! -name build.rs \
      ! -path './benches/*/main.rs' ! -path ./benches/redaction.rs \
      ! -path './tests/*/main.rs' ! -path ./tests/upstream/program.rs -delete \
    && echo 'fn main() {}' > /tmp/empty.rs \
    && find . -name '*.rs' -exec cp /tmp/empty.rs {} ';' \
    && find . -type d -empty -delete

FROM rust AS build
# What is published: with link-time optimisation and every optional feature.
ENV CARGO_INCREMENTAL=0
COPY --from=manifests /src .
RUN cargo build --profile published --all-features --locked --bins
COPY . .
# Cargo compares times, and those of the copied files are older than what the empty ones were compiled to.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
    && cargo build --profile published --all-features --locked --bins \
    && strip target/published/haldir-mcp target/published/haldir

FROM debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
ARG VERSION
LABEL org.opencontainers.image.title="haldir" \
      org.opencontainers.image.description="Governance for AI agents: one program between an agent and everything it can spend, read or do" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/ExposureGuard/haldir" \
      org.opencontainers.image.documentation="https://github.com/ExposureGuard/haldir/blob/main/docs/install.md"
# The registry of MCP servers lists the image if it has this name.
LABEL io.modelcontextprotocol.server.name="io.github.ExposureGuard/haldir-mcp"
RUN groupadd --gid 10001 haldir \
    && useradd --uid 10001 --gid 10001 --no-create-home --no-log-init --home-dir /data --shell /usr/sbin/nologin haldir \
    && install --directory --owner=haldir --group=haldir --mode=0700 /data
# For outward HTTPS: upstreams, webhooks, HALDIR_BASE_URL.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# haldir starts haldir-mcp from its own folder: both belong in the same one.
COPY --from=build /src/target/published/haldir-mcp /src/target/published/haldir /usr/local/bin/

# haldir, as a number: Kubernetes cannot tell from a name that it is not root.
USER 10001:10001
# The database and, unless HALDIR_ENCRYPTION_KEY is set, the key file beside it. Keep a copy of the key elsewhere:
# without it the secrets cannot be read, nor can the store be opened.
VOLUME /data
# For a store on Postgres set this to its address: DATABASE_URL is read only where HALDIR_DB is not set.
ENV HALDIR_DB=/data/haldir.db
# PORT makes `serve` listen on all addresses of the container.
ENV PORT=8000
EXPOSE 8000
# Asks the server of this container at its own address; nothing but the program is needed for that.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 CMD ["haldir-mcp", "health"]
CMD ["haldir-mcp", "serve"]
