import { QueryClient, QueryClientProvider, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useResource } from '../shared/api/hooks.ts';
import { ServerError, setCsrfToken, whenLoggedOut } from '../shared/api/request.ts';
import type { LoginWays, Me } from '../shared/api/types.ts';
import { useRoute } from '../shared/router.ts';
import { SessionProvider } from '../shared/session.tsx';
import { applyStoredTheme } from '../shared/theme.ts';
import { Loading } from '../shared/ui/Notice.tsx';
import { Doorway } from './Doorway.tsx';
import { Shell } from './Shell.tsx';

applyStoredTheme();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // Only what may be different the next time.
      retry: (failures, error) =>
        failures < 2 && error instanceof ServerError && (error.status === 0 || error.status === 503),
    },
  },
});

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Pages />
    </QueryClientProvider>
  );
}

/** Pages of the server, or the way in for those who are not known. */
function Pages() {
  const route = useRoute();
  const client = useQueryClient();
  const ways = useResource<LoginWays>('api/login');
  const me = useResource<Me>('api/me');
  useEffect(() => {
    whenLoggedOut(() => {
      const known = client.getQueryData<Me>(['api/me', 'api/me']);
      // The session ended meanwhile. Whoever logs in next comes to the same page, and sees nothing
      // of what was there for somebody else.
      if (known !== undefined) {
        client.removeQueries({ predicate: ({ queryKey }) => !String(queryKey[0]).startsWith('api/me') });
        void client.resetQueries({ queryKey: ['api/me'], exact: false });
      }
    });
  }, [client]);
  const token = me.data?.csrf_token ?? undefined;
  setCsrfToken(token);

  const isOneTime = ['set-up', 'password', 'share'].includes(route.parts[0] ?? '');
  if (isOneTime || me.error?.status === 401) {
    return <Doorway route={route} ways={ways.data} failure={ways.error} />;
  }
  if (me.data === undefined) {
    return me.error === null ? <Loading /> : <Doorway route={route} ways={ways.data} failure={me.error} />;
  }
  return (
    <SessionProvider me={me.data}>
      <Shell route={route} isDemo={me.data.is_demo === true} />
    </SessionProvider>
  );
}
