import serializerSelector from '@fastify/fast-json-stringify-compiler'
import type { FastifySerializerCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import { compiledOnce } from './compiled-once.ts'

/** What `serializerCompiler` of Fastify is: one function per schema, made once at boot. */
export const compileAnswerSchema: FastifySerializerCompiler<TSchema> = ({ schema }) => serializerOf(schema)

/** Fastify's own, which asks for a route and reads its schema alone. */
const compile = serializerSelector()()
const serializerOf = compiledOnce((schema) => compile({ schema, method: '', url: '', httpStatus: '' }))
