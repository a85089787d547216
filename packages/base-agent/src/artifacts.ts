import { ARTIFACT_MAX_BYTES, ArtifactName } from '@hypercode/contracts'
import type { Artifact } from '@hypercode/contracts'
import { TerminalError } from './errors.ts'
import { toJson } from './json.ts'
import type { StoredArtifact } from './task-context.ts'
import type { TaskPort } from './task-port.ts'

const NAME = new RegExp(ArtifactName.pattern ?? '')

export async function storeArtifact(
  port: TaskPort,
  name: string,
  data: string | Uint8Array | object,
  mediaType: string | undefined,
): Promise<Artifact> {
  if (name.length > (ArtifactName.maxLength ?? 200) || !NAME.test(name)) {
    throw new TerminalError(`"${name}" cannot name an artifact`, 'use letters, digits and . _ -', {
      code: 'artifact_invalid',
    })
  }
  const content = contentOf(name, data)
  if (content.bytes.byteLength > ARTIFACT_MAX_BYTES) {
    const sizes = `${content.bytes.byteLength} bytes of at most ${ARTIFACT_MAX_BYTES}`
    throw new TerminalError(`the artifact "${name}" is too large`, sizes, { code: 'artifact_too_large' })
  }
  return await port.putArtifact(name, content.bytes, mediaType ?? content.mediaType)
}

export async function readArtifact(port: TaskPort, taskKey: string, name: string): Promise<StoredArtifact> {
  const artifact = (await port.listArtifacts()).find((one) => one.taskKey === taskKey && one.name === name)
  if (artifact === undefined) {
    throw new TerminalError(`the task "${taskKey}" has stored no artifact "${name}"`, undefined, {
      code: 'artifact_missing',
    })
  }
  const bytes = await port.getArtifact(artifact)
  return {
    name,
    taskKey,
    mediaType: artifact.mediaType,
    bytes,
    text: () => bytes.toString('utf8'),
    json: () => JSON.parse(bytes.toString('utf8')) as unknown,
  }
}

function contentOf(name: string, data: string | Uint8Array | object): { bytes: Buffer; mediaType: string } {
  if (typeof data === 'string') return { bytes: Buffer.from(data), mediaType: 'text/plain; charset=utf-8' }
  if (data instanceof Uint8Array) {
    return {
      bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      mediaType: 'application/octet-stream',
    }
  }
  try {
    return { bytes: Buffer.from(toJson(data).text), mediaType: 'application/json' }
  } catch (cause) {
    throw new TerminalError(`the artifact "${name}" is not JSON`, cause instanceof Error ? cause.message : undefined, {
      code: 'artifact_invalid',
      cause,
    })
  }
}
