"""Small models with small tokenizers, for tests of `pollard compact --keep-tokens` and `--drop-unused`."""
