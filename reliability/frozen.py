"""Imported last by the server of which all processes here are forked: none looks for garbage in what was imported."""

from __future__ import annotations

import gc

gc.freeze()
