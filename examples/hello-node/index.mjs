// A greeting, with what the function can see of where it runs.
export const handler = async (event, context) => {
  const name = event?.name ?? 'world';
  console.log(`greeting ${name}, request ${context.awsRequestId}`);
  return {
    message: `Hello, ${name}!`,
    function: context.functionName,
    version: context.functionVersion,
    memory: `${context.memoryLimitInMB} MB`,
    node: process.versions.node,
    architecture: process.arch,
    remainingMilliseconds: context.getRemainingTimeInMillis(),
  };
};
