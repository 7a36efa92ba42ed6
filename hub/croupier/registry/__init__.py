"""Finds adapters and plugins by their entry points, isolates a broken one, holds certificates against it, and reports.

`Registry` is the entrance. `structure` reads stored configuration into attrs classes; other rooms use it, too.
"""

from croupier.registry.certificates import CertificateRule
from croupier.registry.registry import Registry
from croupier.registry.reports import AdapterReport, AllowList, PluginReport, State
from croupier.registry.structuring import Problem, problems, settings_error, structure

__all__ = [
    "AdapterReport",
    "AllowList",
    "CertificateRule",
    "PluginReport",
    "Problem",
    "Registry",
    "State",
    "problems",
    "settings_error",
    "structure",
]
