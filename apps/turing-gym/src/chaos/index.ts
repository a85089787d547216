export type { ModelFault } from './fault-plan.ts'
export { createModelFaultProxy } from './model-fault-proxy.ts'
export type { FaultCounts, ModelFaultProxy, ModelFaultProxyOptions } from './model-fault-proxy.ts'
