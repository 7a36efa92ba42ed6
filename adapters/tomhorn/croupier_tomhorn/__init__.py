"""Tom Horn Gaming as a provider of the Croupier hub: one protocol in two codecs, REST JSON and SOAP 1.1."""
