"""The client library, shipped as `iopt_client`: calls of services, guarded as Resilience4j guards them."""
