"""Events as signed webhooks, after Standard Webhooks."""
