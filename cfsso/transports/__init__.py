"""Ways to reach Cloudflare; one idea a module."""
