"""The processes that train one net together; torchrun calls each one's number its rank."""
