import { ApiException, CoreV1Api, KubeConfig, Observable } from '@kubernetes/client-node'
import type { ConfigurationOptions } from '@kubernetes/client-node'
import type { KubernetesDriverConfig } from '../config.ts'

/**
 * A client of the cluster that the configuration names, and the name of that cluster.
 *
 * @throws when the kubeconfig cannot be read or names no cluster
 */
export function connectCluster({ kubeconfig, namespace }: KubernetesDriverConfig): { api: CoreV1Api; host: string } {
  const config = new KubeConfig()
  if (kubeconfig === undefined) config.loadFromCluster()
  else config.loadFromFile(kubeconfig)
  const server = config.getCurrentCluster()?.server
  if (server === undefined) throw new Error(`${kubeconfig ?? 'the service account'} names no cluster`)
  return { api: config.makeApiClient(CoreV1Api), host: `${server.replace(/\/$/, '')}/${namespace}` }
}

/** Lets go of a call when `signal` aborts. */
export function withSignal(signal: AbortSignal): ConfigurationOptions {
  return {
    middleware: [
      {
        pre: (request) => {
          request.setSignal(signal)
          return new Observable(Promise.resolve(request))
        },
        post: (response) => new Observable(Promise.resolve(response)),
      },
    ],
    middlewareMergeStrategy: 'append',
  }
}

/** The HTTP status that the cluster refused with; undefined when it could not be asked. */
export const statusOf = (error: unknown): number | undefined => (error instanceof ApiException ? error.code : undefined)

/** What `work` answers, or undefined when the cluster refuses with one of these statuses. */
export async function unlessRefused<T>(statuses: readonly number[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (statuses.includes(statusOf(error) ?? 0)) return undefined
    throw error
  }
}
