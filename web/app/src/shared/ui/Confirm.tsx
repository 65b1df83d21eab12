import type { UseMutationResult } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import type { ServerError } from '../api/request.ts';
import { Dialog } from './Dialog.tsx';
import { Form } from './Form.tsx';

/** A button for what cannot be undone: it asks once more. */
export function Confirm<In>({
  label,
  about,
  title,
  children,
  action,
  input,
  onDone,
}: {
  label: string;
  /** What it is about, for those who do not see the row. */
  about?: string;
  title: string;
  children: ReactNode;
  action: UseMutationResult<unknown, ServerError, In>;
  input: In;
  onDone?: () => void;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const close = () => {
    setIsOpen(false);
    action.reset();
  };
  return (
    <>
      <button
        type="button"
        className="quiet small"
        aria-label={about === undefined ? undefined : `${label}: ${about}`}
        onClick={() => setIsOpen(true)}
      >
        {label}
      </button>
      {isOpen && (
        <Dialog title={title} onClose={close}>
          <Form
            danger
            submit={label}
            isBusy={action.isPending}
            error={action.error}
            onCancel={close}
            onSubmit={() =>
              action.mutate(input, {
                onSuccess: () => {
                  close();
                  onDone?.();
                },
              })
            }
          >
            <p>{children}</p>
          </Form>
        </Dialog>
      )}
    </>
  );
}
