"""The promises of speed, each beside a peer, run in one go: `make bench`."""
