// SPDX-License-Identifier: Apache-2.0
// The same, some clocks later.
`default_nettype none
module search_delay #(
	parameter WIDTH = 8,
	parameter CLOCKS = 1
) (
	input wire clk,
	input wire [WIDTH - 1:0] in,
	output wire [WIDTH - 1:0] out
);
	wire [WIDTH - 1:0] step [0:CLOCKS];
	genvar i;

	assign step[0] = in;
	assign out = step[CLOCKS];
	generate
		for (i = 0; i < CLOCKS; i = i + 1) begin : clock
			reg [WIDTH - 1:0] held;
			always @(posedge clk)
				held <= step[i];
			assign step[i + 1] = held;
		end
		if (CLOCKS == 0) begin : none
			wire unused = &{1'b0, clk};
		end
	endgenerate
endmodule
`default_nettype wire
