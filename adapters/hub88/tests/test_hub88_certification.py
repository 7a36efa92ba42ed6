"""A slice of the certification; `croupier certify adapter hub88` runs all of it."""

from croupier_conformance.adoption import adapter_suite

test_certification = adapter_suite("hub88")
