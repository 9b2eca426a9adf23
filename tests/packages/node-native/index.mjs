import { xxh32, xxh64 } from "@node-rs/xxhash";

export const handler = async (event, context) => ({
  xxh32: xxh32(event.text, 0),
  xxh64: xxh64(event.text).toString(16),
  node: process.version,
  remaining: context.getRemainingTimeInMillis() > 0,
});
