"""What `make audit` checks of the packages that are installed or shipped: `make audit`, docs/supply-chain.md."""
