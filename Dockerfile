# haldir over HTTP. Build and run:
#
#   docker build -t haldir .
#   docker run -p 8000:8000 -v haldir:/data -e HALDIR_BOOTSTRAP_TOKEN=… haldir
#
# The first API key is then made with that token, see docs/tour.md. A reverse proxy in front does TLS.

FROM rust:1-slim AS build
# SQLite and the assembly of ring are compiled from source.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What is published: with link-time optimisation and every optional feature.
RUN cargo build --profile published --all-features --locked --bins \
    && strip target/published/haldir-mcp target/published/haldir

FROM debian:stable-slim
# For outward HTTPS, where HALDIR_BASE_URL is set.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin haldir \
    && install --directory --owner=haldir --group=haldir --mode=0700 /data
# haldir starts haldir-mcp from its own folder: both belong in the same one.
COPY --from=build /src/target/published/haldir-mcp /src/target/published/haldir /usr/local/bin/

USER haldir
# The database and, unless HALDIR_ENCRYPTION_KEY is set, the key file beside it. Keep a copy of the key elsewhere:
# without it the secrets cannot be read, nor can the store be opened.
VOLUME /data
# For a store on Postgres set this to its address: DATABASE_URL is read only where HALDIR_DB is not set.
ENV HALDIR_DB=/data/haldir.db
# PORT makes `serve` listen on all addresses of the container.
ENV PORT=8000
EXPOSE 8000
CMD ["haldir-mcp", "serve"]
