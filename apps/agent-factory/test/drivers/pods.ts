/** The kubernetes driver before a scripted API server. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { V1Pod } from '@kubernetes/client-node'
import { expect } from 'vitest'
import type { KubernetesDriverConfig } from '../../src/drivers/config.ts'
import type { Launch } from '../../src/drivers/driver.ts'
import { createKubernetesDriver } from '../../src/drivers/kubernetes/kubernetes-driver.ts'
import type { ScriptedKubernetes } from './scripted-kubernetes.ts'
import { startScriptedKubernetes } from './scripted-kubernetes.ts'
import { launchOf, test as base } from './setup.ts'

export const test = base
  .extend('cluster', async ({ folder: _folder }, { onCleanup }) => {
    const cluster = await startScriptedKubernetes()
    onCleanup(async () => await cluster.close())
    return cluster
  })
  .extend('settings', async ({ cluster, folder }): Promise<KubernetesDriverConfig> => {
    const kubeconfig = path.join(folder, 'kubeconfig')
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'here',
        contexts: [{ name: 'here', context: { cluster: 'here', user: 'factory' } }],
        clusters: [{ name: 'here', cluster: { server: cluster.url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'factory', user: { token: 'of-the-factory' } }],
      }),
    )
    return { kubeconfig, namespace: 'agents' }
  })
  .extend('driver', ({ settings }) => createKubernetesDriver(settings, 'here'))

export const pod = (args: readonly string[] = [], more: Partial<Launch> = {}): Launch =>
  launchOf(args, { entry: { image: 'agents/tester:1' }, ...more })

export const nameOf = (launch: Launch): string => `hypercode-${launch.launchId}`

export const podOf = (cluster: ScriptedKubernetes, launch: Launch): V1Pod =>
  cluster.pods.get(nameOf(launch)) ?? expect.fail('no pod')

export function statusWith(
  state: NonNullable<NonNullable<V1Pod['status']>['containerStatuses']>[number]['state'],
): NonNullable<V1Pod['status']> {
  const status = { name: 'agent', image: '', imageID: '', ready: false, restartCount: 0 }
  return { phase: 'Running', containerStatuses: [{ ...status, ...(state && { state }) }] }
}
