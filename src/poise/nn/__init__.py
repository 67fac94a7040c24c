"""Parts of networks: backbones, necks, heads. They know no codec."""
