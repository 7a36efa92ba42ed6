"""The SOFTSWISS-style wallet protocol, as a dialect plugin of the hub: for operators who serve it already.

`dialect` is how the hub speaks it, `amounts` how money is written, `codes` what a refusal means, and `peer` a wallet
that serves it, for tests. Built from public material; not endorsed or certified by SOFTSWISS.
"""
