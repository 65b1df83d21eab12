import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { ServerError } from '../api/request.ts';
import { Failure, Loading } from './Notice.tsx';

/** What was asked for, once it is there. */
export function Loaded<T>({
  query,
  children,
}: {
  query: UseQueryResult<T, ServerError>;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) {
    return (
      <>
        <Failure error={query.error} />
        {children(query.data)}
      </>
    );
  }
  if (query.error !== null) {
    return (
      <div className="stack">
        <Failure error={query.error} />
        <p>
          <button type="button" className="quiet" onClick={() => void query.refetch()}>
            Try again
          </button>
        </p>
      </div>
    );
  }
  return <Loading />;
}
