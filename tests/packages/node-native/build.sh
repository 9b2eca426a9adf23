# The native addon arrives prebuilt, as the optional dependency for Linux with glibc.
npm ci --omit=dev --no-audit --no-fund --ignore-scripts
cp -r index.mjs package.json node_modules "$STAGE/"
