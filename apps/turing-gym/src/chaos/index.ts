export type { FaultCounts } from './disturb.ts'
export type { ModelFault } from './fault-plan.ts'
export { createModelFaultProxy } from './model-fault-proxy.ts'
export type { ModelFaultProxy, ModelFaultProxyOptions } from './model-fault-proxy.ts'
