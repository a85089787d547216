import path from 'node:path'
import { ROOT } from './checkout.ts'
import type { SecretName } from './child-env.ts'
import { childEnv } from './child-env.ts'
import type { ClientCredentials } from './credentials.ts'
import type { Env } from './local-env.ts'

export type ServiceApp = 'gateway' | 'agent-registry' | 'crew-orchestrator'
export const AGENT_APP = 'auditor-agent'

export interface ServicePorts {
  readonly gateway: number
  readonly registry: number
  readonly orchestrator: number
}

export interface StoreUrls {
  readonly DATABASE_URL: string
  readonly REDIS_URL: string
}

const PORT_OF = {
  gateway: ['GATEWAY_PORT', 'gateway'],
  'agent-registry': ['REGISTRY_PORT', 'registry'],
  'crew-orchestrator': ['ORCHESTRATOR_PORT', 'orchestrator'],
} as const

export const folderOf = (app: string): string => path.join(ROOT, 'apps', app)

export function urlOf(app: ServiceApp, ports: ServicePorts): string {
  return localUrl(ports[PORT_OF[app][1]])
}

export function urlsOf(ports: ServicePorts): { gateway: string; registry: string; orchestrator: string } {
  return {
    gateway: localUrl(ports.gateway),
    registry: localUrl(ports.registry),
    orchestrator: localUrl(ports.orchestrator),
  }
}

/** The environment of one service: its port, its neighbours, the stores, and the keys that it needs and no others. */
export function serviceEnv(app: ServiceApp, env: Env, ports: ServicePorts, stores: StoreUrls): Record<string, string> {
  const [portName, own] = PORT_OF[app]
  const { gateway, registry, orchestrator } = urlsOf(ports)
  const isGateway = app === 'gateway'
  const hasPrivateKey = (env['JWT_PRIVATE_KEY'] ?? env['JWT_PRIVATE_KEY_FILE'] ?? '') !== ''
  // With a private key only the gateway can sign; the others read its public keys.
  const jwks = hasPrivateKey && !isGateway ? { JWT_JWKS_URL: `${gateway}/.well-known/jwks.json` } : {}
  const keys: readonly SecretName[] = isGateway
    ? ['JWT_SECRET', 'JWT_PRIVATE_KEY', 'JWT_PREVIOUS_PUBLIC_KEY']
    : ['JWT_SECRET']
  return childEnv(env, [...keys, 'DATABASE_URL', 'REDIS_URL'], {
    [portName]: String(ports[own]),
    REGISTRY_URL: registry,
    ORCHESTRATOR_URL: orchestrator,
    DATABASE_URL: stores.DATABASE_URL,
    REDIS_URL: stores.REDIS_URL,
    ...jwks,
  })
}

/** The environment of one agent: where the gateway is and how to log in there. Nothing of the stores. */
export function agentEnv(
  env: Env,
  gatewayUrl: string,
  client: ClientCredentials,
  { instance, port }: { readonly instance: string; readonly port: number },
): Record<string, string> {
  return childEnv(env, ['OPENAI_API_KEY', 'HYPERCODE_CLIENT_SECRET'], {
    HYPERCODE_URL: gatewayUrl,
    HYPERCODE_CLIENT_ID: client.clientId,
    HYPERCODE_CLIENT_SECRET: client.clientSecret,
    HYPERCODE_INSTANCE: instance,
    AGENT_PORT: String(port),
  })
}

export function localUrl(port: number): string {
  return `http://127.0.0.1:${port}`
}
