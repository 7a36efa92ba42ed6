"""Certification: rules as records, a run that checks what a subject declares, and a tier that the run has proved.

Read in this order: `rule` (what a rule is), `subject` (what is certified, and the author's certification file), `bench`
(what a rule's check gets to work with), `run` (which rules are collected, and what the outcome proves), `tiers`
(what a tier demands besides rules). The rules are in `adapter_rules` and `wallet_rules`, a module a layer.
"""
