/** The kubernetes driver against a scripted API server: what it asks for, and what it makes of every answer. */
import { describe, expect, vi } from 'vitest'
import { createDrivers } from '../../src/drivers/create-drivers.ts'
import { LaunchRefused } from '../../src/drivers/driver.ts'
import { createKubernetesDriver } from '../../src/drivers/kubernetes/kubernetes-driver.ts'
import { MIB, launchOf, never } from './setup.ts'
import { nameOf, pod, podOf, statusWith, test } from './pods.ts'

describe('what it asks for', () => {
  test('a pod without rights, limited, labelled, with nothing of ours', async ({ cluster, driver }) => {
    vi.stubEnv('CANARY_OF_THE_FACTORY', 'sings')
    const launch = pod(['--fast', '$(HOME)'], {
      cpu: 0.5,
      env: { PRICE: '$(HOME) 5$' },
      labels: { 'a/b': 'c d' },
      secrets: { KEY: 'v' },
    })
    const handle = await driver.start(launch, never())
    expect(handle).toEqual({
      driver: 'kubernetes',
      host: `${cluster.url}/agents`,
      launchId: launch.launchId,
      instanceId: launch.instanceId,
      pod: nameOf(launch),
    })
    expect([...cluster.tokens]).toEqual(['Bearer of-the-factory'])
    const { metadata, spec } = podOf(cluster, launch)
    expect(metadata?.labels).toMatchObject({ 'hypercode.installation': 'here', 'hypercode.launch': launch.launchId })
    expect(metadata?.annotations).toEqual({ 'hypercode.labels': '{"a/b":"c d"}' })
    expect(spec).toEqual({
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10_001,
        runAsGroup: 10_001,
        fsGroup: 10_001,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: `${64 * MIB}` } },
        { name: 'secrets', secret: { secretName: nameOf(launch), defaultMode: 0o400 } },
      ],
      containers: [
        {
          name: 'agent',
          image: 'agents/tester:1',
          args: ['--fast', '$$(HOME)'],
          env: [
            { name: 'NODE_ENV', value: 'production' },
            { name: 'PRICE', value: '$$(HOME) 5$$' },
            { name: 'KEY_FILE', value: '/run/hypercode/secrets/KEY' },
            { name: 'HOME', value: '/tmp' },
            { name: 'TMPDIR', value: '/tmp' },
          ],
          resources: {
            limits: { cpu: '500m', memory: `${256 * MIB}` },
            requests: { cpu: '500m', memory: `${256 * MIB}` },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'secrets', mountPath: '/run/hypercode/secrets', readOnly: true },
          ],
        },
      ],
    })
  })

  test('secrets are one secret that goes with its pod, and nowhere else', async ({ cluster, driver }) => {
    const launch = pod([], { secrets: { KEY: 'ä value' } })
    await driver.start(launch, never())
    expect(cluster.secrets.get(nameOf(launch))).toMatchObject({
      type: 'Opaque',
      metadata: {
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: nameOf(launch), uid: `uid-of-${nameOf(launch)}` }],
      },
      data: { KEY: Buffer.from('ä value').toString('base64') },
    })
    expect(JSON.stringify(podOf(cluster, launch))).not.toContain('value"}')
    const without = pod()
    await driver.start(without, never())
    expect(cluster.secrets.has(nameOf(without))).toBe(false)
    expect(podOf(cluster, without).spec?.volumes).toHaveLength(1)
  })

  test.for([{ path: '/agent.js' }, { module: 'agent' }])('%o is no image', async (entry, { driver }) => {
    await expect(driver.start(launchOf([], { entry }), never())).rejects.toThrow(LaunchRefused)
  })
})

describe('a start', () => {
  test('that broke off is finished by the next one, with the secrets of that one', async ({ cluster, driver }) => {
    const launch = pod([], { secrets: { KEY: 'old' } })
    cluster.failNext('POST /api/v1/namespaces/agents/secrets', 500)
    await expect(driver.start(launch, never())).rejects.toThrow('as scripted')
    expect(await driver.list()).toHaveLength(1)
    await driver.start(launch, never())
    await driver.start({ ...launch, secrets: { KEY: 'new' } }, never())
    expect(cluster.pods.size).toBe(1)
    expect(cluster.secrets.get(nameOf(launch))?.data).toEqual({ KEY: Buffer.from('new').toString('base64') })
  })

  test('of one that runs changes nothing', async ({ cluster, driver }) => {
    const launch = pod([], { secrets: { KEY: 'old' } })
    const handle = await driver.start(launch, never())
    podOf(cluster, launch).status = statusWith({ running: { startedAt: new Date() } })
    expect(await driver.start({ ...launch, secrets: { KEY: 'new' } }, never())).toEqual(handle)
    expect(cluster.secrets.get(nameOf(launch))?.data).toEqual({ KEY: Buffer.from('old').toString('base64') })
  })

  test('of two at once makes one pod', async ({ cluster, driver }) => {
    const launch = pod()
    const [first, second] = await Promise.all([driver.start(launch, never()), driver.start(launch, never())])
    expect(first).toEqual(second)
    expect(cluster.pods.size).toBe(1)
  })

  test('that can never be is refused, one that may be later is not', async ({ cluster, driver }) => {
    cluster.failNext('POST', 422)
    await expect(driver.start(pod(), never())).rejects.toThrow(LaunchRefused)
    cluster.failNext('POST', 403)
    await expect(driver.start(pod(), never())).rejects.not.toThrow(LaunchRefused)
  })

  test('can be broken off', async ({ cluster, driver }) => {
    const abort = new AbortController()
    abort.abort()
    await expect(driver.start(pod(), abort.signal)).rejects.toThrow('abort')
    expect(cluster.pods.size).toBe(0)
  })
})

test('pods are listed over all pages, and only our own', async ({ settings, driver }) => {
  const handles = [
    await driver.start(pod(), never()),
    await driver.start(pod(), never()),
    await driver.start(pod(), never()),
  ]
  await createKubernetesDriver(settings, 'there').start(pod(), never())
  expect(await driver.list()).toEqual(handles)
})

test('logs are read page by page, each line once', async ({ cluster, driver }) => {
  const launch = pod()
  const handle = await driver.start(launch, never())
  const start = Date.now() - 30_000
  const lines: string[] = []
  cluster.logs.set(nameOf(launch), lines)
  const say = (ms: number, words: string): unknown => lines.push(`${new Date(start + ms).toISOString()} ${words}`)
  for (const index of [0, 1, 2, 3, 4, 5, 6]) say(index * 400, JSON.stringify({ index }))
  const read: string[] = []
  let cursor = 0
  for (let page = 0; page < 4; page++) {
    const { lines: taken, cursor: next } = await driver.readLogs(handle, cursor, 2)
    read.push(...taken)
    cursor = next
  }
  expect(read).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => JSON.stringify({ index })))
  expect(await driver.readLogs(handle, cursor, 2)).toEqual({ lines: [], cursor })
  say(2450, 'plain')
  expect((await driver.readLogs(handle, cursor, 2)).lines).toEqual([expect.stringContaining('"msg":"plain"')])
  cluster.failNext('/log', 400)
  expect(await driver.readLogs(handle, cursor, 2)).toEqual({ lines: [], cursor })
})

test('a driver is there when it is configured', async ({ settings }) => {
  expect([...(await createDrivers({ installation: 'here', kubernetes: settings })).keys()]).toEqual(['kubernetes'])
  expect([...(await createDrivers({ installation: 'here' })).keys()]).toEqual([])
})
