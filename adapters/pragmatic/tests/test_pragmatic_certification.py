"""A slice of the certification; `make certify` runs all of it."""

from croupier_conformance.adoption import adapter_suite

test_certification = adapter_suite("pragmatic")
