import type { ReactNode } from 'react';
import type { ServerError } from '../api/request.ts';
import { Failure } from './Notice.tsx';

/** A form that is sent by script: the browser itself sends nothing. */
export function Form({
  onSubmit,
  submit,
  isBusy,
  error,
  isReady = true,
  onCancel,
  danger = false,
  children,
}: {
  onSubmit: () => void;
  submit: string;
  isBusy: boolean;
  error: ServerError | null;
  isReady?: boolean;
  onCancel?: (() => void) | undefined;
  danger?: boolean;
  children?: ReactNode;
}) {
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy && isReady) {
          onSubmit();
        }
      }}
    >
      {children}
      <Failure error={error} />
      <div className="buttons">
        <button type="submit" className={danger ? 'danger' : undefined} disabled={isBusy || !isReady}>
          {isBusy ? 'One moment…' : submit}
        </button>
        {onCancel !== undefined && (
          <button type="button" className="quiet" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}
