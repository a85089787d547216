/** The part of the kit that runs without vitest: processes, faults and waiting, for benchmarks and chaos programs. */
export { pickPort as freePort } from '@hypercode/local-stack'
export { createFaultProxy } from './fault-proxy.ts'
export type { FaultProxy, ProxyMode } from './fault-proxy.ts'
export { spawnService } from './spawn-service.ts'
export type { Exit, ServiceProcess, SpawnOptions } from './spawn-service.ts'
export { randomSecret } from './tokens.ts'
export { waitFor } from './wait-for.ts'
export type { WaitOptions } from './wait-for.ts'
