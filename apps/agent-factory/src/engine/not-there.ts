import { AppError } from '@hypercode/http'

/** What is not there, in words; whatever belongs to another tenant is not there either. */
export const noInstance = (id: string): AppError =>
  new AppError('not_found', { detail: `There is no instance ${id}.`, fix: 'GET /v1/instances lists those there are.' })

export const noBlueprint = (name: string, version?: string | number): AppError =>
  new AppError('not_found', {
    detail: version === undefined ? `There is no blueprint ${name}.` : `There is no blueprint ${name}@${version}.`,
    fix: 'GET /v1/blueprints lists those there are.',
  })
