"""What other systems build against: AsyncAPI, JSON Schemas, golden records. `python -m deploy.contract` renews it."""
