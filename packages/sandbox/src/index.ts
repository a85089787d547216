export { findSandbox } from './find-sandbox.ts'
export { SandboxUnavailable } from './errors.ts'
export type { Sandbox, SandboxCommand, SandboxResult } from './sandbox.ts'
