import { fillPath, routerPath, routesOf } from '@hypercode/contracts'
import type { Route, ServiceName } from '@hypercode/contracts'
import { AppError, routeConfig } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { FastifyRequest } from 'fastify'
import { passBodies } from '../proxy/request-body.ts'
import type { Upstream } from '../proxy/upstream.ts'

/**
 * Every operation of a service behind the gateway, one by one: there is no wildcard, so what is not in the catalogue does not exist. The
 * gateway checks the token and its scopes, and the service checks them again; bodies pass unread.
 */
export function proxyRoutes(app: ServiceApp, service: ServiceName, upstream: Upstream): void {
  app.register(async (scope) => {
    passBodies(scope)
    for (const route of routesOf(service)) {
      ;(scope.implemented as Route[]).push(route)
      scope.route({
        // The HEAD that Fastify derives would take the length of the answer for 0.
        method: route.method === 'GET' ? ['GET', 'HEAD'] : route.method,
        url: routerPath(route.path),
        config: routeConfig(route),
        ...(route.bodyLimitBytes !== undefined && { bodyLimit: route.bodyLimitBytes }),
        handler: (request, reply) => {
          if (route.produces !== undefined) inertContent(reply)
          return upstream.forward(route, canonicalPath(route, request), request, reply)
        },
      })
    }
  })
}

/**
 * The path as the router understood it, written in the one way that means it: whatever the caller wrote, the service's router sees the
 * same route and the same parameters.
 */
function canonicalPath(route: Route, request: FastifyRequest): string {
  const params = request.params as Readonly<Record<string, string>>
  // What stands between here and the service may fold these; no id and no name looks like that.
  if (Object.values(params).some((value) => value === '' || value === '.' || value === '..')) {
    throw new AppError('not_found', { detail: 'No such path.' })
  }
  const path = route.params === undefined ? route.path : fillPath(route.path, params)
  const url = request.raw.url ?? ''
  const question = url.indexOf('?')
  if (question < 0) return path
  const hash = url.indexOf('#', question)
  return path + (hash < 0 ? url.slice(question) : url.slice(question, hash))
}

/** What an agent stored is data: a browser must neither guess its type nor run it as a page of ours. */
function inertContent(reply: { header: (name: string, value: string) => unknown }): void {
  reply.header('x-content-type-options', 'nosniff')
  reply.header('content-security-policy', "default-src 'none'; sandbox")
}
