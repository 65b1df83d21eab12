import {
  useMutation,
  useQuery,
  useQueryClient,
  type UseMutationResult,
  type UseQueryResult,
} from '@tanstack/react-query';
import { get, type ServerError } from './request.ts';

/** What `path` answers. The first part of the path names it for [`useAction`]. */
export function useResource<T>(path: string, isWanted = true): UseQueryResult<T, ServerError> {
  return useQuery<T, ServerError>({
    queryKey: [path.split('?')[0], path],
    // The one place where what the server says is taken to be what the API documents.
    queryFn: async ({ signal }) => (await get(path, signal)) as T,
    enabled: isWanted,
  });
}

/** Something that changes what is on the server; `changed` are the paths to be asked again. */
export function useAction<In, Out = unknown>(
  perform: (input: In) => Promise<unknown>,
  changed: readonly string[] = [],
): UseMutationResult<Out, ServerError, In> {
  const client = useQueryClient();
  return useMutation<Out, ServerError, In>({
    mutationFn: async (input) => (await perform(input)) as Out,
    onSuccess: () =>
      Promise.all(changed.map((path) => client.invalidateQueries({ queryKey: [path] }))),
  });
}

type OpenApi = { paths: Record<string, Record<string, unknown>> };

/** Whether the server has a route: pages of what it cannot do are not offered. */
export function useHasRoute(): (method: string, path: string) => boolean {
  const document = useQuery<OpenApi, ServerError>({
    queryKey: ['openapi'],
    queryFn: async ({ signal }) => (await get('api/openapi.json', signal)) as OpenApi,
    staleTime: Infinity,
  });
  return (method, path) => document.data?.paths[path]?.[method.toLowerCase()] !== undefined;
}
