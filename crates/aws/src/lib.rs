//! AWS wire formats generated from AWS's service models: protocols, validation, SigV4.
