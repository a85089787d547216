import path from 'node:path'
import { ROOT } from './checkout.ts'
import type { SecretName } from './child-env.ts'
import { childEnv } from './child-env.ts'
import type { ClientCredentials } from './credentials.ts'
import type { Env } from './local-env.ts'

/** The services in the order in which they need each other; they start side by side all the same. */
export const SERVICE_APPS = ['agent-registry', 'crew-orchestrator', 'agent-factory', 'turing-gym', 'gateway'] as const
export type ServiceApp = (typeof SERVICE_APPS)[number]

export const SERVICE_KEYS = ['gateway', 'registry', 'orchestrator', 'factory', 'gym'] as const
export type ServiceKey = (typeof SERVICE_KEYS)[number]
export type ServicePorts = Readonly<Record<ServiceKey, number>>
export type ServiceUrls = Readonly<Record<ServiceKey, string>>

export interface StoreUrls {
  readonly DATABASE_URL: string
  readonly REDIS_URL: string
}

/** Short name of a service, as ports and addresses are listed by. */
const KEY_OF: Readonly<Record<ServiceApp, ServiceKey>> = {
  gateway: 'gateway',
  'agent-registry': 'registry',
  'crew-orchestrator': 'orchestrator',
  'agent-factory': 'factory',
  'turing-gym': 'gym',
}

export const portVariable = (key: ServiceKey) => `${key.toUpperCase() as Uppercase<ServiceKey>}_PORT` as const

export const folderOf = (app: string): string => path.join(ROOT, 'apps', app)

export const isServiceApp = (name: string | undefined): name is ServiceApp =>
  (SERVICE_APPS as readonly (string | undefined)[]).includes(name)

export const urlOf = (app: ServiceApp, ports: ServicePorts): string => localUrl(ports[KEY_OF[app]])

export const urlsOf = (ports: ServicePorts): ServiceUrls =>
  Object.fromEntries(SERVICE_KEYS.map((key) => [key, localUrl(ports[key])])) as ServiceUrls

/** Secrets beside the stores' that a service needs, and no other gets. */
const OWN_SECRETS: Readonly<Partial<Record<ServiceApp, readonly SecretName[]>>> = {
  gateway: ['JWT_PRIVATE_KEY', 'JWT_PREVIOUS_PUBLIC_KEY'],
  'agent-factory': ['FACTORY_SECRET'],
  'turing-gym': ['GYM_SECRET', 'OPENAI_API_KEY'],
}

/** The environment of one service: its port, its neighbours, the stores, and the keys that it needs and no others. */
export function serviceEnv(
  app: ServiceApp,
  env: Env,
  ports: ServicePorts,
  stores: StoreUrls,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const urls = urlsOf(ports)
  const hasPrivateKey = (env['JWT_PRIVATE_KEY'] ?? env['JWT_PRIVATE_KEY_FILE'] ?? '') !== ''
  // With a private key only the gateway can sign; the others read its public keys.
  const jwks = hasPrivateKey && app !== 'gateway' ? { JWT_JWKS_URL: `${urls.gateway}/.well-known/jwks.json` } : {}
  return childEnv(env, ['JWT_SECRET', ...(OWN_SECRETS[app] ?? []), 'DATABASE_URL', 'REDIS_URL'], {
    [portVariable(KEY_OF[app])]: String(ports[KEY_OF[app]]),
    REGISTRY_URL: urls.registry,
    ORCHESTRATOR_URL: urls.orchestrator,
    FACTORY_URL: urls.factory,
    GYM_URL: urls.gym,
    HYPERCODE_URL: urls.gateway,
    DATABASE_URL: stores.DATABASE_URL,
    REDIS_URL: stores.REDIS_URL,
    ...jwks,
    ...more,
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
