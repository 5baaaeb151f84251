// SPDX-License-Identifier: Apache-2.0
// One row of a tile against two queries: four packed multipliers in a chain, two sums.
//
// A DSP48E2 multiplies 27 by 18 bits. Its wide side holds two queries' bytes, q1 * 2^18 + q0, the
// narrow one the row's byte, so a product holds q1 * x and q0 * x, 18 bits apart. Four of them are
// added before they are parted: |sum of four| <= 4 * 2^14 = 2^16 < 2^17, so the lower sum keeps its
// sign in 18 bits; it borrowed one from the upper sum if it is negative.
`default_nettype none

module search_row (
	input wire clk,
	input wire [31:0] x,   // four bytes of the row, byte i is i clocks later than byte 0
	input wire [107:0] q,  // four packed pairs of query bytes, likewise
	input wire valid,      // the chain's sum belongs to a line: 6 clocks after byte 0
	input wire first,      // ... and to the first of its tile
	output reg signed [25:0] dot0,
	output reg signed [25:0] dot1
);
	wire signed [47:0] sum [0:4];
	genvar i;

	assign sum[0] = 48'sd0;
	generate
		for (i = 0; i < 4; i = i + 1) begin : dim
			search_multiplier multiplier (
				.clk(clk), .a(q[27 * i +: 27]), .b(x[8 * i +: 8]),
				.chain(sum[i]), .sum(sum[i + 1])
			);
		end
	endgenerate

	// |dot| <= 1024 * 2^14 = 2^24
	wire signed [17:0] low = sum[4][17:0];
	wire signed [17:0] high = sum[4][35:18];
	wire signed [25:0] from0 = first ? 26'sd0 : dot0;
	wire signed [25:0] from1 = first ? 26'sd0 : dot1;

	always @(posedge clk)
		if (valid) begin
			dot0 <= from0 + {{8{low[17]}}, low};
			dot1 <= from1 + {{8{high[17]}}, high} + {25'd0, sum[4][17]};
		end
	wire unused = &{1'b0, sum[4][47:36]};
endmodule
`default_nettype wire
