# Patchcord in a container: the page, then the binary that carries it, then nothing else.
#
#   docker build -t patchcord .
#   docker run --rm -v patchcord:/var/lib/patchcord patchcord init          # once: certificate, database, API key
#   docker run -d --network host --stop-timeout 40 -v patchcord:/var/lib/patchcord \
#     -e PATCHCORD__SIP__DOMAIN=phone.example.com patchcord
#
# Every setting of patchcord.example.toml can be given as a variable (PATCHCORD__SECTION__KEY), or a whole file be mounted at
# /etc/patchcord/patchcord.toml; routing rules at /etc/patchcord/dialplan.

# ---- the agents' page
FROM node:22-bookworm-slim AS page
WORKDIR /build/web
# The packages change more rarely than the page: their layer is kept.
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

# ---- the binary; the version is the one of rust-toolchain.toml, which would have rustup fetch the lint tools, too
FROM rust:1.95.0-slim-bookworm AS binary
# libopus, AWS-LC and SQLite are compiled from the sources their crates bring along.
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential cmake pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY bench bench
COPY crates crates
COPY load load
COPY migrations migrations
COPY src src
COPY --from=page /build/web/dist web/dist
# The caches outlive the build but are no part of the image, so the binary is copied out of them; without its line tables, which
# are four fifths of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package patchcord --bin patchcord \
 && mkdir /out \
 && strip --strip-debug -o /out/patchcord target/release/patchcord

# ---- what runs
FROM debian:bookworm-slim
# PostgreSQL's certificate is checked against these.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/patchcord --create-home --shell /usr/sbin/nologin patchcord \
 && install -d -o patchcord -g patchcord -m 0750 /var/lib/patchcord
COPY --from=binary /out/patchcord /usr/local/bin/patchcord
COPY patchcord.example.toml /etc/patchcord/patchcord.toml
COPY dialplan /etc/patchcord/dialplan
ENV PATCHCORD_CONFIG=/etc/patchcord/patchcord.toml \
    PATCHCORD__DIALPLAN__DIRECTORY=/etc/patchcord/dialplan

# No port is below 1024 and no capability needed.
USER patchcord
# The settings' relative paths start here: certs/ and data/ (the SQLite database) live in the volume.
WORKDIR /var/lib/patchcord
VOLUME /var/lib/patchcord

# Page, REST API and the browsers' WebSocket, over TLS.
EXPOSE 8443/tcp
# SIP of the trunks.
EXPOSE 5060/udp 5060/tcp
# Browsers' media: one port per media thread, counted up from media.browser_ports.
EXPOSE 10000-10015/udp
# The trunks' media is 20000-29999/udp. Publishing so many ports one by one is slow, and a translated port is not the one the
# gateway tells its peers: use --network host, or narrow media.rtp_port_min/max and publish exactly that range together with
# media.advertised_addresses.

# Asks /livez on the configured listener; needs no shell and no client in the image.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["patchcord", "healthcheck"]

# Running calls may go on for calls.shutdown_s (30 s) after this: give the container a longer stop timeout.
STOPSIGNAL SIGTERM
ENTRYPOINT ["patchcord"]
CMD ["serve"]
